-- An hour of a partition is summed, unless something was counted since.
-- keys: counters dirty
-- args: hour rev
-- reply: ok | changed
if (redis.call('HGET', counters, 'rev') or '') ~= rev then return { 'changed' } end
redis.call('SREM', dirty, hour)
return { 'ok' }
