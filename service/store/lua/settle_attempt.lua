-- Compares a counted attempt with every code sent, approves at most once, locks after the last. `event` is that of
-- an approval, `packed` the digest as the short form of a record has it.
-- keys: record codes due active guesses known last_sender audit
-- args: id now digest packed guess clients most_clients keep_clients keep_sender budget event uniform
-- include: audit close guesses settle_guess
-- reply: approved number remaining | rejected remaining | locked | closed status
local status, allowed, used = unpack(redis.call('HMGET', record, 'status', 'attempts_allowed', 'attempts'))
if status ~= 'pending' and status ~= 'undeliverable' then
  redis.call('ZREM', guesses, '?' .. guess) -- nothing is compared
  return { 'closed', status }
end

-- Beyond the guess budget, as count_attempt.lua left it: no code is right.
local blind = uniform ~= '' and not redis.call('ZSCORE', guesses, '?' .. guess)
local proven = ''
local stored = redis.call('HGETALL', codes)
for i = 1, #stored, 2 do
  -- No early end: the time taken says nothing about which code, if any, was right.
  local is_code, is_right = string.sub(stored[i], 1, 1) == 'd', stored[i + 1] == digest or stored[i + 1] == packed
  if is_code and is_right and not blind then proven = string.sub(stored[i], 2) end
end

local remaining = math.max(allowed - used, 0)
if proven ~= '' then
  guess_was_right(guesses, known, guess, clients, most_clients, keep_clients, now)
  if keep_sender ~= '0' then
    local begun = redis.call('HGET', record, 'd' .. proven)
    begun = begun and cjson.decode(begun)
    if begun then redis.call('SET', last_sender, begun.sender or begun[1], 'PX', keep_sender) end
  end
  close(record, codes, id, 'approved', 'approved', now, false, 'proven', proven)
  local of_delivery = proven ~= '0' and tonumber(proven) or nil
  append_audit_with(event, { delivery = of_delivery, attempts_remaining = remaining })
  return { 'approved', proven, tostring(remaining) }
end
if not blind then guess_was_wrong(guesses, guess, budget, now) end
-- Attempts under way count as used but may yet be right: only the last to settle locks.
if redis.call('HINCRBY', record, 'settled', 1) >= tonumber(allowed) then
  close(record, codes, id, 'locked', 'attempts_exhausted', now, false)
  append_audit_instead(event, 'verification.locked', { verification = id, reason = 'attempts_exhausted' })
  return { 'locked' }
end
append_audit_instead(event, 'attempt.rejected', { verification = id, attempts_remaining = remaining })
return { 'rejected', tostring(remaining) }
