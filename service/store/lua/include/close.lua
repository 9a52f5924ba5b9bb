-- needs: due active
-- The end of a verification: nothing is due any more. `keep_codes`: a late message may still be typed. The lease
-- stays: who holds it may have a POST under way, and tells of its outcome yet.
local function close(record, codes, id, status, reason, now, keep_codes)
  redis.call('HSET', record, 'status', status, 'reason', reason, 'closed_at', now)
  redis.call('HDEL', record, 'lease_until')
  redis.call('HINCRBY', record, 'rev', 1)
  redis.call('ZREM', due, id)
  redis.call('ZREM', active, id)
  if not keep_codes then redis.call('DEL', codes) end
end
