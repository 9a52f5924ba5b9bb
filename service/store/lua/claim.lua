-- Takes the lease of a verification, so that one worker at a time advances it.
-- keys: record codes due
-- args: id now lease lease_until
-- reply: ok salt record (fields and values, between them NUL) | busy | closed | gone
local status, held_until = unpack(redis.call('HMGET', record, 'status', 'lease_until'))
if not status then
  redis.call('ZREM', due, id)
  return { 'gone' }
end
if status ~= 'pending' then
  redis.call('ZREM', due, id)
  return { 'closed' }
end
if held_until and tonumber(held_until) > tonumber(now) then
  redis.call('ZADD', due, held_until, id)
  return { 'busy' }
end
redis.call('HSET', record, 'lease', lease, 'lease_until', lease_until)
redis.call('ZADD', due, lease_until, id)
return { 'ok', redis.call('HGET', codes, 'salt') or '', table.concat(redis.call('HGETALL', record), '\0') }
