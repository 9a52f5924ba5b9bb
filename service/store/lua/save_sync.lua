-- Saves how far a sync came, unless another took it over meanwhile; keeps its lease, or lets go (0).
-- keys: state lease
-- args: token expected value keep lease_time
-- reply: ok | lost
local holder = redis.call('GET', lease)
if holder and holder ~= token then return { 'lost' } end
-- A lease that ran out, and a run that somebody else ended since, leave another state behind.
if (redis.call('GET', state) or '') ~= expected then return { 'lost' } end
redis.call('SET', state, value, 'PX', keep)
if lease_time == '0' then
  redis.call('DEL', lease)
else
  redis.call('SET', lease, token, 'PX', lease_time)
end
return { 'ok' }
