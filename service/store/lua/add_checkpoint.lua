-- Adds the next checkpoint, unless somebody else did. The first of each day is kept until the trail is archived.
-- keys: checkpoints daily
-- args: number day checkpoint most
-- reply: ok | moved
local last = redis.call('XREVRANGE', checkpoints, '+', '-', 'COUNT', 1)[1]
local number_of_last = last and string.match(last[1], '^%d+') or '0'
if tonumber(number_of_last) + 1 ~= tonumber(number) then return { 'moved' } end
redis.call('XADD', checkpoints, 'MAXLEN', most, number .. '-0', 'checkpoint', checkpoint)
local kept = redis.call('XREVRANGE', daily, '+', '-', 'COUNT', 1)[1]
if not kept or kept[2][2] ~= day then
  redis.call('XADD', daily, number .. '-0', 'day', day, 'checkpoint', checkpoint)
end
return { 'ok' }
