-- A guess that was compared, and was wrong. It counts from when it was made.
local function guess_was_wrong(guesses, guess, budget, now)
  local at = redis.call('ZSCORE', guesses, '?' .. guess) or now
  redis.call('ZREM', guesses, '?' .. guess)
  log_guess(guesses, '!' .. guess, at, budget, tonumber(now))
end

-- A success clears the wrong codes (NIST SP 800-63B-4, 3.2.2), but not what is still being compared: that
-- may yet be wrong. The clients are known from now on.
local function guess_was_right(guesses, known, guess, clients, most, keep, now)
  local over = { '?' .. guess }
  for _, member in ipairs(redis.call('ZRANGE', guesses, 0, -1)) do
    if string.sub(member, 1, 1) == '!' then over[#over + 1] = member end
  end
  redis.call('ZREM', guesses, unpack(over))
  local scored = {}
  for client in string.gmatch(clients, '[^,]+') do
    scored[#scored + 1], scored[#scored + 2] = now, client
  end
  if #scored == 0 then return end
  redis.call('ZADD', known, unpack(scored))
  redis.call('ZREMRANGEBYSCORE', known, '-inf', string.format('%.0f', tonumber(now) - tonumber(keep)))
  redis.call('ZREMRANGEBYRANK', known, 0, -tonumber(most) - 1)
  redis.call('PEXPIRE', known, keep)
end
