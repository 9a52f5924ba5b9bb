-- Reserves an Idempotency-Key for one start, and fixes the id that the start will use.
-- keys: reservation
-- args: fingerprint id now running_until keep
-- reply: reserved id | mismatch | running wait | done id
local held = redis.call('HMGET', reservation, 'fingerprint', 'id', 'running_until')
if not held[1] then
  redis.call('HSET', reservation, 'fingerprint', fingerprint, 'id', id, 'running_until', running_until)
  redis.call('PEXPIRE', reservation, keep)
  return { 'reserved', id }
end
if held[1] ~= fingerprint then return { 'mismatch' } end
local wait = tonumber(held[3]) - tonumber(now)
if held[3] == '0' then return { 'done', held[2] } end
if wait > 0 then return { 'running', string.format('%.0f', wait) } end
-- The first request died: this one goes on under the same id, so that nothing is sent twice.
redis.call('HSET', reservation, 'running_until', running_until)
return { 'reserved', held[2] }
