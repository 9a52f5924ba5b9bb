-- Closes a breaker, unless it was opened anew after `since`, when whoever passed it began.
-- keys: breakers audit
-- args: route since event
-- include: audit
-- reply: ok | unknown
local found = redis.call('HGET', breakers, route)
if not found then return { 'unknown' } end
local breaker = cjson.decode(found)
if breaker.opened_at > tonumber(since) then return { 'unknown' } end
redis.call('HDEL', breakers, route)
append_audit_with(event, { code = breaker.code, strikes = breaker.strikes, country = breaker.country })
return { 'ok' }
