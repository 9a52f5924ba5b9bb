-- Copies the events of a trail behind `before` up to `upto` into a stream beside it, persons under pseudonyms; at
-- the trail's end that stream takes its place. `proposed`: a pseudonym for each person who may have none.
-- keys: audit moved
-- args: before upto proposed
-- include: pseudonym
-- reply: moved | ended | again
local last = redis.call('XREVRANGE', moved, '+', '-', 'COUNT', 1)[1]
if (last and last[1] or '0-0') ~= before then return { 'again' } end
local proposals = cjson.decode(proposed)
for _, entry in ipairs(redis.call('XRANGE', audit, '(' .. before, upto)) do
  local event, is_old = nil, true
  for at = 1, #entry[2], 2 do
    if entry[2][at] == 'event' then event = entry[2][at + 1] end
    if entry[2][at] == 'form' then is_old = false end
  end
  if is_old then
    event = string.gsub(event, '"recipient":"(%x+)"', function(id)
      return '"recipient":"' .. id .. '.' .. (proposals[id] or '') .. '"'
    end, 1)
    event = under_pseudonym(event)
  end
  redis.call('XADD', moved, entry[1], 'event', event, 'form', form)
end
if redis.call('XREVRANGE', audit, '+', '-', 'COUNT', 1)[1][1] ~= upto then return { 'moved' } end
redis.call('RENAME', moved, audit)
return { 'ended' }
