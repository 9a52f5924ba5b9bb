-- Takes the lease of a verification, so that one worker at a time advances it.
-- keys: record codes due
-- args: id now lease lease_until
-- reply: ok salt fields... | busy | closed | gone
local status = redis.call('HGET', record, 'status')
if not status then
  redis.call('ZREM', due, id)
  return { 'gone' }
end
if status ~= 'pending' then
  redis.call('ZREM', due, id)
  return { 'closed' }
end
local held_until = redis.call('HGET', record, 'lease_until')
if held_until and tonumber(held_until) > tonumber(now) then
  redis.call('ZADD', due, held_until, id)
  return { 'busy' }
end
redis.call('HSET', record, 'lease', lease, 'lease_until', lease_until)
redis.call('ZADD', due, lease_until, id)
local reply = redis.call('HGETALL', record)
table.insert(reply, 1, redis.call('HGET', codes, 'salt') or '')
table.insert(reply, 1, 'ok')
return reply
