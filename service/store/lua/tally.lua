-- Counts in the tally of one key, and says how it stands; domain/tally.py does the same in Python. What is
-- taken back (negative, at the time of its counting) is nothing where the windows began anew meanwhile.
-- keys: tally
-- args: now sent proven epoch keep_proven keep_unproven
-- reply: ok epoch block hour_sent hour_proven day_sent day_proven past_sent past_proven peak_hour peak_day
local fields = {}
local flat = redis.call('HGETALL', tally)
for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end

local rings = { m = { 60000, 60 }, h = { 3600000, 24 }, d = { 86400000, 15 } }
local time, of = tonumber(now), fields.epoch or '0'

local function read(field)
  local index, s, p, peak = string.match(fields[field] or '', '^(%d+):(-?%d+):(-?%d+):(%d+)$')
  return tonumber(index or '-1'), tonumber(s or '0'), tonumber(p or '0'), tonumber(peak or '0')
end

local function add(name, peak)
  local index = math.floor(time / rings[name][1])
  local field = name .. (index % rings[name][2])
  local at, s, p, highest = read(field)
  if at > index then return 0 end -- its place is taken: it is out of the window
  if at < index then s, p, highest = 0, 0, 0 end
  s, p, highest = s + tonumber(sent), p + tonumber(proven), math.max(highest, peak)
  fields[field] = string.format('%.0f:%.0f:%.0f:%.0f', index, s, p, highest)
  redis.call('HSET', tally, field, fields[field])
  return p
end

if epoch == '' or epoch == of then
  add('m', 0)
  add('d', math.max(add('h', 0), 0))
end

local sums, peak_hour, peak_day, today = { m = { 0, 0 }, h = { 0, 0 }, d = { 0, 0 } }, 0, 0, { 0, 0 }
for field in pairs(fields) do
  local ring = rings[string.sub(field, 1, 1)]
  local at, s, p, peak = read(field)
  if ring and at >= 0 then
    local index, sum = math.floor(time / ring[1]), sums[string.sub(field, 1, 1)]
    if at > index - ring[2] then
      sum[1], sum[2] = sum[1] + s, sum[2] + p
      if ring == rings.d then
        peak_hour, peak_day = math.max(peak_hour, peak), math.max(peak_day, p)
        if at >= index then today = { today[1] + s, today[2] + p } end
      end
    end
  end
end
redis.call('PEXPIRE', tally, peak_day > 0 and keep_proven or keep_unproven)

local reply = { 'ok', of, fields.block or '' }
for _, number in ipairs({ sums.m[1], sums.m[2], sums.h[1], sums.h[2],
  sums.d[1] - today[1], sums.d[2] - today[2], peak_hour, peak_day }) do
  reply[#reply + 1] = string.format('%.0f', number)
end
return reply
