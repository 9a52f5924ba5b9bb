-- Puts a reservation right once the true cost is known; without one (empty) it is given back. Once or often: the
-- same in effect.
-- keys: money held
-- args: cost windows
-- include: slices
-- reply: ok | gone
local reserved, at = string.match(redis.call('GET', held) or '', '^(%d+):(%d+)$')
if not reserved then return { 'gone' } end
if cost == '' then
  redis.call('DEL', held)
else
  redis.call('SET', held, cost .. ':' .. at, 'KEEPTTL')
end
-- Gone with the windows that it kept, if the caps have shorter ones now.
if redis.call('EXISTS', money) == 0 then return { 'gone' } end
book(money, windows, tonumber(cost == '' and '0' or cost) - tonumber(reserved), tonumber(at))
return { 'ok' }
