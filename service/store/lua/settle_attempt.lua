-- Compares a counted attempt with every code sent, approves at most once, locks after the last.
-- keys: record codes due active guesses known last_sender audit
-- args: id now digest guess clients most_clients keep_clients keep_sender budget approved_event rejected_event locked_event uniform
-- include: audit close guesses settle_guess
-- reply: approved number remaining | rejected remaining | locked | closed status
local status = redis.call('HGET', record, 'status')
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
  if string.sub(stored[i], 1, 1) == 'd' and stored[i + 1] == digest and not blind then
    proven = string.sub(stored[i], 2)
  end
end

local allowed = tonumber(redis.call('HGET', record, 'attempts_allowed'))
local remaining = math.max(allowed - tonumber(redis.call('HGET', record, 'attempts')), 0)
if proven ~= '' then
  redis.call('HSET', record, 'proven', proven)
  guess_was_right(guesses, known, guess, clients, most_clients, keep_clients, now)
  local begun = redis.call('HGET', record, 'd' .. proven)
  if tonumber(keep_sender) > 0 and begun then
    redis.call('SET', last_sender, cjson.decode(begun).sender, 'PX', keep_sender)
  end
  close(record, codes, id, 'approved', 'approved', now, false)
  local of_delivery = proven ~= '0' and tonumber(proven) or nil
  append_audit_with(approved_event, { delivery = of_delivery, attempts_remaining = remaining })
  return { 'approved', proven, tostring(remaining) }
end
if not blind then guess_was_wrong(guesses, guess, budget, now) end
-- Attempts under way count as used but may yet be right: only the last to settle locks.
if redis.call('HINCRBY', record, 'settled', 1) >= allowed then
  close(record, codes, id, 'locked', 'attempts_exhausted', now, false)
  append_audit(locked_event)
  return { 'locked' }
end
append_audit_with(rejected_event, { attempts_remaining = remaining })
return { 'rejected', tostring(remaining) }
