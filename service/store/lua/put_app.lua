-- Creates an app's definition, or replaces it if nobody changed it since it was read (`read`: empty for none).
-- keys: apps audit
-- args: name read written event
-- include: audit
-- reply: ok | changed
if (redis.call('HGET', apps, name) or '') ~= read then return { 'changed' } end
redis.call('HSET', apps, name, written)
append_audit(event)
return { 'ok' }
