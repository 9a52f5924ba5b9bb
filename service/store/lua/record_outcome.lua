-- Records what became of a delivery's POST or GET, and lets go if nothing else came in meanwhile.
-- `due_at` is empty where the holder goes on at once.
-- keys: record due audit
-- args: id lease rev field value due_at event
-- include: audit
-- reply: ok | changed | lost
local held, status, at = unpack(redis.call('HMGET', record, 'lease', 'status', 'rev'))
if held ~= lease then return { 'lost' } end
if status ~= 'pending' then
  -- Closed while the POST was under way: the outcome is still a fact worth keeping, a decision is not.
  if string.sub(field, 1, 1) == 'o' and redis.call('HSETNX', record, field, value) == 1 then
    redis.call('HINCRBY', record, 'rev', 1)
    append_audit(event)
  end
  return { 'lost' }
end
redis.call('HSET', record, field, value, 'rev', at + 1)
append_audit(event)
if at ~= rev then return { 'changed' } end
if due_at ~= '' then
  redis.call('HDEL', record, 'lease', 'lease_until')
  redis.call('ZADD', due, due_at, id)
end
return { 'ok' }
