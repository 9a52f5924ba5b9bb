-- needs: due
-- Make a verification due now, or when its lease ends if somebody is at work on it: the holder sees
-- the new revision before it lets go, so nothing waits that long unless the holder died.
local function make_due(record, id, now)
  local lease_until = tonumber(redis.call('HGET', record, 'lease_until') or '0')
  redis.call('HINCRBY', record, 'rev', 1)
  if lease_until > tonumber(now) then
    redis.call('ZADD', due, lease_until, id)
    return 'leased'
  end
  redis.call('ZADD', due, now, id)
  return 'due'
end
