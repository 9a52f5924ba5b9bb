-- Reserves an Idempotency-Key for one start, and fixes the id that the start will use.
-- keys: reservation
-- args: fingerprint id now running_until keep
-- reply: reserved id | mismatch | running wait | done id | refused refusal
local held = redis.call('HMGET', reservation, 'fingerprint', 'id', 'running_until', 'refusal')
if not held[1] then
  redis.call('HSET', reservation, 'fingerprint', fingerprint, 'id', id, 'running_until', running_until)
  redis.call('PEXPIRE', reservation, keep)
  return { 'reserved', id }
end
if held[1] ~= fingerprint then return { 'mismatch' } end
if held[4] then return { 'refused', held[4] } end
if held[3] == '0' then return { 'done', held[2] } end
local wait = tonumber(held[3]) - tonumber(now)
if wait > 0 then return { 'running', string.format('%.0f', wait) } end
-- The first request died, or let go: this one goes on under the same id, so that nothing is sent twice.
redis.call('HSET', reservation, 'running_until', running_until)
return { 'reserved', held[2] }
