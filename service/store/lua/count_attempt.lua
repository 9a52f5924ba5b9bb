-- Counts an attempt, on the verification and in the recipient's guess budget, before anything is compared.
-- With uniform answers an attempt beyond the budget is counted on the verification alone, and never compared.
-- What is not for this verification at all is neither counted nor compared: a code of another alphabet, or for
-- another transaction, which is told in the trail once.
-- keys: record codes due audit
-- args: id prefix app now grace_until alphabets bound budget event refused_event blocked_event uniform
-- include: audit guesses base
-- reply: ok salt fields... | unknown | closed status | exhausted | unreadable alphabet | mismatch | limited count seconds wait
if redis.call('HGET', record, 'app') ~= app then return { 'unknown' } end
local status = redis.call('HGET', record, 'status')
if status ~= 'pending' and status ~= 'undeliverable' then return { 'closed', status } end
if tonumber(redis.call('HGET', record, 'expires_at')) <= tonumber(now)
    or redis.call('EXISTS', codes) == 0 then
  return { 'closed', 'expired' }
end
local allowed = tonumber(redis.call('HGET', record, 'attempts_allowed'))
if tonumber(redis.call('HGET', record, 'attempts') or '0') >= allowed then return { 'exhausted' } end

local base = read_base(record)
local alphabet = base.alphabet or 'digits'
if not string.find(' ' .. alphabets .. ' ', ' ' .. alphabet .. ' ', 1, true) then
  return { 'unreadable', alphabet }
end
if (base.bound or '') ~= bound then
  if redis.call('HSETNX', record, 'mismatched', now) == 1 then
    append_audit_with(refused_event, whose(base, {}))
  end
  return { 'mismatch' }
end
-- Same recipient, so same partition and slot: the keys may be built here.
local guesses = prefix .. 'g:' .. base.recipient_id .. ':' .. app
local known = prefix .. 'k:' .. base.recipient_id .. ':' .. app
local over = over_budget(guesses, known, base.clients or {}, budget, tonumber(now))
if over then
  -- Once for a verification: who goes on guessing must not fill the trail.
  if redis.call('HSETNX', record, 'over_budget', now) == 1 then
    append_audit_with(blocked_event, whose(base, limit_fields('wrong_codes', over)))
  end
  if uniform == '' then return over end
end

local used = redis.call('HINCRBY', record, 'attempts', 1)
if not over then log_guess(guesses, '?' .. id .. ':' .. used, now, budget, tonumber(now)) end
redis.call('HSET', record, 'attempt_at', now)
redis.call('HINCRBY', record, 'rev', 1)
if used >= allowed and status == 'pending' then
  -- Should the last comparison die half-way, the deadline closes the verification.
  redis.call('ZADD', due, grace_until, id)
end
append_audit_with(event, whose(base, { attempts_remaining = allowed - used }))
local reply = redis.call('HGETALL', record)
table.insert(reply, 1, redis.call('HGET', codes, 'salt'))
table.insert(reply, 1, 'ok')
return reply
