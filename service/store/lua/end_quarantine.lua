-- Ends a sender's quarantine, unless somebody else changed it meanwhile.
-- keys: quarantines audit
-- args: where before event
-- include: audit
-- reply: ok | moved
local found = redis.call('HGET', quarantines, where)
if not found or cjson.decode(found).strikes ~= tonumber(before) then return { 'moved' } end
redis.call('HDEL', quarantines, where)
append_audit(event)
return { 'ok' }
