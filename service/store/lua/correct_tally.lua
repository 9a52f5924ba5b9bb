-- Counts in the tally of one key what became of messages that were counted: proven now, or taken back (negative,
-- at the time of their counting), which is nothing where the windows began anew meanwhile (`epoch`).
-- keys: tally
-- args: now sent proven epoch keep
-- include: tally
-- reply: ok | anew
local found = redis.call('HMGET', tally, in_minute, in_hour, in_day, 'epoch', 'rest')
if epoch ~= '' and epoch ~= (found[4] or '0') then return { 'anew' } end
-- What is kept of the other slices would not know of this.
if found[5] and string.match(found[5], '^%d+') ~= string.format('%d', minute) then redis.call('HDEL', tally, 'rest') end
local of_minute = add(found[1], minute, sent, proven, 0)
local of_hour, _, in_the_hour = add(found[2], hour, sent, proven, 0)
local of_day, _, today = add(found[3], day, sent, proven, math.max(in_the_hour, 0))
redis.call('HSET', tally, in_minute, of_minute, in_hour, of_hour, in_day, of_day)
-- Once a minute is enough for what is kept for days; but for longer from a day's first proven code on.
if (read(found[1]) ~= minute or today == tonumber(proven)) and redis.call('PTTL', tally) < tonumber(keep) then
  redis.call('PEXPIRE', tally, keep)
end
return { 'ok' }
