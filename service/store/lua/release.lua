-- Ends a block and its probation by hand.
-- keys: tally blocks audit
-- args: name event
-- include: audit anew
-- reply: ok | unknown
redis.call('ZREM', blocks, name)
local block = redis.call('HGET', tally, 'block')
if not block then return { 'unknown' } end
begin_anew()
redis.call('HDEL', tally, 'block')
append_audit_with(event, cjson.decode(block))
return { 'ok' }
