-- Ends a request's hold of its Idempotency-Key: `running_until` is 0 where it has its result, and now where
-- a retry may go on. Who was too slow, and whose place another took, changes nothing.
-- keys: reservation
-- args: id held_until running_until refusal
-- reply: ok | lost
local held = redis.call('HMGET', reservation, 'id', 'running_until')
if held[1] ~= id or held[2] ~= held_until then return { 'lost' } end
redis.call('HSET', reservation, 'running_until', running_until)
if refusal ~= '' then redis.call('HSET', reservation, 'refusal', refusal) end
return { 'ok' }
