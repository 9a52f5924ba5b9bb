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
local of_day = count(found, tonumber(sent), tonumber(proven))[3]
-- Once a minute is enough for what is kept for days; but for longer from a day's first proven code on.
if (read(found[1]) ~= minute or of_day[2] == tonumber(proven)) and redis.call('PTTL', tally) < tonumber(keep) then
  redis.call('PEXPIRE', tally, keep)
end
return { 'ok' }
