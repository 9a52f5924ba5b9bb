-- Takes a subject's first callback for one try. The number of the try is what its holder proves itself with.
-- keys: out since tries queue
-- args: subject now lease_until
-- reply: ok try callback | busy | gone
local at = redis.call('ZSCORE', out, subject)
if not at or tonumber(at) > tonumber(now) then return { 'busy' } end
local first = redis.call('LINDEX', queue, 0)
if not first then
  redis.call('ZREM', out, subject)
  redis.call('ZREM', since, subject)
  redis.call('HDEL', tries, subject)
  return { 'gone' }
end
redis.call('ZADD', out, lease_until, subject)
return { 'ok', redis.call('HINCRBY', tries, subject, 1), first }
