-- Adds a partition's increments, keeps what its verifications now count for, and moves the cursor, all at once:
-- whoever read the same events meanwhile changes nothing.
-- keys: cursor dirty
-- args: prefix expected reached keep keep_cursor records increments
-- reply: ok | moved
if (redis.call('GET', cursor) or '') ~= expected then return { 'moved' } end
for _, entry in ipairs(cjson.decode(records)) do
  -- The partition's own keys, so the same slot.
  local record = prefix .. 'v:' .. entry[1]
  if redis.call('EXISTS', record) == 1 then redis.call('HSET', record, 'counted', entry[2]) end
end
for hour, fields in pairs(cjson.decode(increments)) do
  local counters = prefix .. 'st:' .. hour
  for _, entry in ipairs(fields) do redis.call('HINCRBY', counters, entry[1], entry[2]) end
  redis.call('HINCRBY', counters, 'rev', 1)
  redis.call('PEXPIRE', counters, keep)
  redis.call('SADD', dirty, hour)
  redis.call('PEXPIRE', dirty, keep_cursor)
end
redis.call('SET', cursor, reached, 'PX', keep_cursor)
return { 'ok' }
