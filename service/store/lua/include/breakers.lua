-- needs: breakers
-- The first of the routes whose breaker is open, and until when. Each partition has a copy of the open
-- breakers, so that this look costs nothing.
local function open_breaker(routes)
  for route in string.gmatch(routes, '%S+') do
    local open_until = redis.call('HGET', breakers, route)
    if open_until then return { 'tripped', route, open_until } end
  end
end
