-- Learns from a price that was paid: up at once, down slowly. domain/money.py does the same in Python.
-- keys: price
-- args: paid keep
-- reply: ok
local estimate, new = tonumber(redis.call('GET', price) or '-1'), tonumber(paid)
if new < estimate then new = estimate - math.floor((estimate - new) / 16) end
redis.call('SET', price, string.format('%.0f', new), 'PX', keep)
return { 'ok' }
