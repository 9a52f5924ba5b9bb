-- Counts a message in the tally of one key, and says how it stands; domain/tally.py does the same in Python.
-- keys: tally
-- args: now keep_proven keep_unproven
-- include: tally
-- reply: ok epoch block figures (hour_sent hour_proven day_sent day_proven past_sent past_proven peak_hour peak_day)
local found = redis.call('HMGET', tally, in_minute, in_hour, in_day, 'epoch', 'block', 'rest')
local epoch = found[4] or '0'
local ms, mp, hs, hp, ds, dp, peak_hour, peak_day = 0, 0, 0, 0, 0, 0, 0, 0

-- The figures of all slices but those of now.
local function sum_rest()
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
end

-- A busy key has a hundred slices, and what they come to is the same for a minute: so it is kept, stamped with
-- the minute and the epoch that it is of.
local stamp = string.format('%d:%s:', minute, epoch)
if found[6] and string.sub(found[6], 1, #stamp) == stamp then
  ms, mp, hs, hp, ds, dp, peak_hour, peak_day = string.match(found[6],
    ':(-?%d+),(-?%d+),(-?%d+),(-?%d+),(-?%d+),(-?%d+),(%d+),(%d+)$')
else
  local size = redis.call('HLEN', tally)
  local others = size - (found[1] and 1 or 0) - (found[2] and 1 or 0) - (found[3] and 1 or 0)
  if others > 0 then sum_rest() end
  if size > 16 then
    redis.call('HSET', tally, 'rest', stamp .. string.format('%d,%d,%d,%d,%d,%d,%d,%d',
      ms, mp, hs, hp, ds, dp, peak_hour, peak_day))
  end
end

local of_minute, m_sent, m_proven = add(found[1], minute, 1, 0, 0)
local of_hour, h_sent, h_proven = add(found[2], hour, 1, 0, 0)
local of_day, _, today, peak = add(found[3], day, 1, 0, math.max(h_proven, 0))
redis.call('HSET', tally, in_minute, of_minute, in_hour, of_hour, in_day, of_day)
peak_hour, peak_day = math.max(peak_hour, peak), math.max(peak_day, today)
-- Once a minute is enough for what is kept for days.
if read(found[1]) ~= minute then
  redis.call('PEXPIRE', tally, peak_day > 0 and keep_proven or keep_unproven)
end
return { 'ok', epoch, found[5] or '', string.format('%d %d %d %d %d %d %d %d',
  ms + m_sent, mp + m_proven, hs + h_sent, hp + h_proven, ds, dp, peak_hour, peak_day) }
