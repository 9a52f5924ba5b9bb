-- Deletes an app's definition, if nobody changed it since it was read.
-- keys: apps audit
-- args: name read event
-- include: audit
-- reply: ok | changed
if redis.call('HGET', apps, name) ~= read then return { 'changed' } end
redis.call('HDEL', apps, name)
append_audit(event)
return { 'ok' }
