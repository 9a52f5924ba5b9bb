-- Records what became of a try: the callback waits for another (`retry_at`), or leaves the queue, to the
-- dead letters if there is a `dead_letter`, and the next of its subject is due.
-- keys: out since tries queue dead letters
-- args: subject id try now retry_at dead_letter most_dead keep_dead
-- reply: waits | more | last | lost
local first = redis.call('LINDEX', queue, 0)
if not first or cjson.decode(first).id ~= id or redis.call('HGET', tries, subject) ~= try then
  return { 'lost' }
end
if retry_at ~= '' then
  redis.call('ZADD', out, retry_at, subject)
  return { 'waits' }
end
redis.call('LPOP', queue)
redis.call('HDEL', tries, subject)
if dead_letter ~= '' then
  redis.call('ZADD', dead, now, id)
  redis.call('HSET', letters, id, dead_letter)
  local gone = redis.call('ZRANGEBYSCORE', dead, '-inf', tonumber(now) - tonumber(keep_dead))
  local beyond = redis.call('ZRANGE', dead, 0, -1 - tonumber(most_dead))
  for _, old in ipairs(gone) do table.insert(beyond, old) end
  for _, old in ipairs(beyond) do
    redis.call('ZREM', dead, old)
    redis.call('HDEL', letters, old)
  end
  redis.call('PEXPIRE', dead, keep_dead)
  redis.call('PEXPIRE', letters, keep_dead)
end
local following = redis.call('LINDEX', queue, 0)
if following then
  redis.call('ZADD', out, now, subject)
  redis.call('ZADD', since, cjson.decode(following).since, subject)
  return { 'more' }
end
redis.call('ZREM', out, subject)
redis.call('ZREM', since, subject)
return { 'last' }
