-- Whether a message may try a route whose breaker was open long enough: one at a time.
-- keys: breakers
-- args: route now pause
-- reply: ok | closed | held
local found = redis.call('HGET', breakers, route)
if not found then return { 'closed' } end
local breaker = cjson.decode(found)
if math.max(breaker.open_until, breaker.next or 0) > tonumber(now) then return { 'held' } end
breaker.next = now + pause
redis.call('HSET', breakers, route, cjson.encode(breaker))
return { 'ok' }
