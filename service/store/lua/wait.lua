-- Lets go of a verification until `due_at`, unless a new fact came in meanwhile.
-- keys: record due
-- args: id lease rev due_at
-- reply: ok | changed | lost
if redis.call('HGET', record, 'lease') ~= lease then return { 'lost' } end
if redis.call('HGET', record, 'rev') ~= rev then return { 'changed' } end
redis.call('HDEL', record, 'lease', 'lease_until')
redis.call('ZADD', due, due_at, id)
return { 'ok' }
