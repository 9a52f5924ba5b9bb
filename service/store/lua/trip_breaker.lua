-- Opens a breaker, for longer each time in a row; `known` if it is open, `full` if there are too many.
-- keys: breakers audit
-- args: route now hold longest most keep about event
-- include: audit
-- reply: open until | known until | full
local found = redis.call('HGET', breakers, route)
local breaker = found and cjson.decode(found) or { strikes = 0, open_until = 0 }
if breaker.open_until > tonumber(now) then
  return { 'known', string.format('%.0f', breaker.open_until) }
end
if not found and redis.call('HLEN', breakers) >= tonumber(most) then return { 'full' } end
breaker = cjson.decode(about)
breaker.strikes = (found and cjson.decode(found).strikes or 0) + 1
breaker.opened_at = tonumber(now)
breaker.open_until = now + math.min(hold * 2 ^ (breaker.strikes - 1), tonumber(longest))
redis.call('HSET', breakers, route, cjson.encode(breaker))
redis.call('PEXPIRE', breakers, keep)
append_audit_with(event, { strikes = breaker.strikes, ['until'] = breaker.open_until })
return { 'open', string.format('%.0f', breaker.open_until) }
