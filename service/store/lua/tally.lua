-- Counts a message in the tally of one key, and says how it stands; domain/tally.py does the same in Python.
-- keys: tally
-- args: now keep_proven keep_unproven
-- include: tally
-- reply: ok epoch block figures (hour_sent hour_proven day_sent day_proven past_sent past_proven peak_hour peak_day)
local found = redis.call('HMGET', tally, in_minute, in_hour, in_day, 'epoch', 'block', 'rest')
local epoch = found[4] or '0'

-- The figures of all slices but those of now. A busy key has a hundred, and what they come to is the same for a
-- minute: so `rest` keeps it, stamped with the minute and the epoch that it is of.
local function sum_rest()
  local ms, mp, hs, hp, ds, dp, peak_hour, peak_day = 0, 0, 0, 0, 0, 0, 0, 0
  local flat = redis.call('HGETALL', tally)
  for i = 1, #flat, 2 do
    local field = flat[i]
    local ring = field ~= in_minute and field ~= in_hour and field ~= in_day and string.match(field, '^([mhd])%d')
    if ring then
      local index, s, p, peak = read(flat[i + 1])
      if ring == 'm' and index > minute - 60 then
        ms, mp = ms + s, mp + p
      elseif ring == 'h' and index > hour - 24 then
        hs, hp = hs + s, hp + p
      elseif ring == 'd' and index > day - 15 then
        peak_hour, peak_day = math.max(peak_hour, peak), math.max(peak_day, p)
        if index < day then ds, dp = ds + s, dp + p end
      end
    end
  end
  return { ms, mp, hs, hp, ds, dp, peak_hour, peak_day }, #flat > 32
end

local stamp, rest, is_long = string.format('%d:%s:', minute, epoch), {}, false
if found[6] and string.sub(found[6], 1, #stamp) == stamp then
  for sum in string.gmatch(string.sub(found[6], #stamp + 1), '[^,]+') do rest[#rest + 1] = tonumber(sum) end
else
  rest, is_long = sum_rest()
end
if is_long then redis.call('HSET', tally, 'rest', stamp .. table.concat(rest, ',')) end

local of_minute, of_hour, of_day = unpack(count(found, 1, 0))
local peak_day = math.max(rest[8], of_day[2])
-- Once a minute is enough for what is kept for days.
if read(found[1]) ~= minute then
  redis.call('PEXPIRE', tally, peak_day > 0 and keep_proven or keep_unproven)
end
return { 'ok', epoch, found[5] or '', string.format('%d %d %d %d %d %d %d %d',
  rest[1] + of_minute[1], rest[2] + of_minute[2], rest[3] + of_hour[1], rest[4] + of_hour[2], rest[5], rest[6],
  math.max(rest[7], of_day[3]), peak_day) }
