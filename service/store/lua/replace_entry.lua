-- Replaces an entry of a hash, if nobody changed it since it was read.
-- keys: entries
-- args: name read written
-- reply: ok | changed
if redis.call('HGET', entries, name) ~= read then return { 'changed' } end
redis.call('HSET', entries, name, written)
return { 'ok' }
