-- needs: tally
-- The windows begin anew, and whoever counted before can take nothing back; the days stay.
local function begin_anew()
  for _, field in ipairs(redis.call('HKEYS', tally)) do
    if string.match(field, '^[mh]%d') then redis.call('HDEL', tally, field) end
  end
  redis.call('HINCRBY', tally, 'epoch', 1)
end
