-- Quarantines a sender in a country, anew or for longer, unless somebody else changed that meanwhile.
-- keys: quarantines audit
-- args: where before entry keep event
-- include: audit
-- reply: ok | moved
local found = redis.call('HGET', quarantines, where)
if (found and cjson.decode(found).strikes or 0) ~= tonumber(before) then return { 'moved' } end
redis.call('HSET', quarantines, where, entry)
redis.call('PEXPIRE', quarantines, keep)
append_audit(event)
return { 'ok' }
