-- Records what became of a delivery's POST or GET, and lets go if nothing else came in meanwhile.
-- `due_at` is empty where the holder goes on at once.
-- keys: record due audit
-- args: id lease rev field value due_at event
-- include: audit
-- reply: ok | changed | lost
if redis.call('HGET', record, 'lease') ~= lease then return { 'lost' } end
if redis.call('HGET', record, 'status') ~= 'pending' then
  -- Closed while the POST was under way: the outcome is still a fact worth keeping.
  redis.call('HSET', record, field, value)
  append_audit(event)
  return { 'lost' }
end
redis.call('HSET', record, field, value)
append_audit(event)
local unchanged = redis.call('HGET', record, 'rev') == rev
redis.call('HINCRBY', record, 'rev', 1)
if not unchanged then return { 'changed' } end
if due_at ~= '' then
  redis.call('HDEL', record, 'lease', 'lease_until')
  redis.call('ZADD', due, due_at, id)
end
return { 'ok' }
