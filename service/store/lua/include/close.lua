-- needs: due active
-- The end of a verification: nothing is due any more. `keep_codes`: a late message may still be typed. The lease
-- stays: who holds it may have a POST under way, and tells of its outcome yet. What follows are further fields.
local function close(record, codes, id, status, reason, now, keep_codes, ...)
  local rev = redis.call('HGET', record, 'rev') + 1
  redis.call('HSET', record, 'status', status, 'reason', reason, 'closed_at', now, 'rev', rev, ...)
  redis.call('HDEL', record, 'lease_until')
  redis.call('ZREM', due, id)
  redis.call('ZREM', active, id)
  if not keep_codes then redis.call('DEL', codes) end
end
