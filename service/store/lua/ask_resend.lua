-- Records that the person asked for another message; `withheld`: why none will be sent.
-- keys: record due audit
-- args: id app now resend_after event withheld
-- include: audit due
-- reply: due | leased | unknown | closed status | too_soon wait
if redis.call('HGET', record, 'app') ~= app then return { 'unknown' } end
local status = redis.call('HGET', record, 'status')
if status ~= 'pending' then return { 'closed', status } end
if tonumber(redis.call('HGET', record, 'expires_at')) <= tonumber(now) then
  return { 'closed', 'expired' }
end
local wait = tonumber(redis.call('HGET', record, 'resend_after')) - tonumber(now)
if wait > 0 then return { 'too_soon', string.format('%.0f', wait) } end
redis.call('HINCRBY', record, 'resends', 1)
if withheld ~= '' then redis.call('HSETNX', record, 'withheld', withheld) end
redis.call('HSET', record, 'resend_after', resend_after)
append_audit(event)
return { make_due(record, id, now) }
