-- The guess budget of a recipient in one app: a sliding log of its guesses. A member begins with '?' while
-- it is compared and with '!' once it was wrong. `budget` is "count/seconds/reserve"; times are milliseconds.
local function read_budget(budget)
  local count, seconds, reserve = string.match(budget, '(%d+)/(%d+)/(%d+)')
  return tonumber(count), tonumber(seconds), tonumber(reserve)
end

-- The part for this client: all of it, unless others are known and this one is not.
local function allowance(known, clients, count, reserve)
  for _, client in ipairs(clients) do
    if redis.call('ZSCORE', known, client) then return count end
  end
  return redis.call('EXISTS', known) == 1 and count - reserve or count
end

-- A reply `limited count seconds wait` where the client may not guess now.
local function over_budget(guesses, known, clients, budget, now)
  local count, seconds, reserve = read_budget(budget)
  local used = redis.call('ZCOUNT', guesses, string.format('(%d', now - seconds * 1000), '+inf')
  if used < count - reserve then return nil end -- nobody's part is smaller
  local allowed = allowance(known, clients, count, reserve)
  if used < allowed then return nil end
  local oldest = redis.call('ZREVRANGE', guesses, allowed - 1, allowed - 1, 'WITHSCORES')
  local wait = tonumber(oldest[2]) + seconds * 1000 - now
  return { 'limited', tostring(allowed), tostring(seconds), string.format('%.0f', wait) }
end

local function log_guess(guesses, member, at, budget, now)
  local _, seconds = read_budget(budget)
  redis.call('ZREMRANGEBYSCORE', guesses, '-inf', string.format('%.0f', now - seconds * 1000))
  redis.call('ZADD', guesses, at, member)
  redis.call('PEXPIRE', guesses, seconds * 1000)
end

-- The fields of a `guard.blocked` event that follow from a `limited` reply.
local function limit_fields(limit, reply)
  return { rule = 'limit', limit = limit, count = tonumber(reply[2]), window = tonumber(reply[3]),
    retry_after = tonumber(reply[4]) }
end
