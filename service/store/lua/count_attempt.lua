-- Counts an attempt, on the verification and in the recipient's guess budget, before anything is compared.
-- With uniform answers an attempt beyond the budget is counted on the verification alone, and never compared.
-- What is not for this verification at all is neither counted nor compared: a code of another alphabet, or for
-- another transaction, which is told in the trail once.
-- keys: record codes due audit
-- args: id prefix app now grace_until alphabets bound budget event uniform
-- include: audit guesses base
-- reply: ok salt record (fields and values, between them NUL) | unknown | closed status | exhausted | unreadable alphabet | mismatch | limited count seconds wait
local flat, held = redis.call('HGETALL', record), {}
for i = 1, #flat, 2 do held[flat[i]] = flat[i + 1] end
if held.app ~= app then return { 'unknown' } end
local status = held.status
if status ~= 'pending' and status ~= 'undeliverable' then return { 'closed', status } end
local salt = tonumber(held.expires_at) > tonumber(now) and redis.call('HGET', codes, 'salt')
if not salt then return { 'closed', 'expired' } end
local allowed = tonumber(held.attempts_allowed)
local used = tonumber(held.attempts or '0') + 1
if used > allowed then return { 'exhausted' } end

local base = parse_base(held.base, held.more)
local alphabet = base.alphabet or 'digits'
if not string.find(' ' .. alphabets .. ' ', ' ' .. alphabet .. ' ', 1, true) then
  return { 'unreadable', alphabet }
end
local of_id = { verification = id }
if (base.bound or '') ~= bound then
  if redis.call('HSETNX', record, 'mismatched', now) == 1 then
    append_audit_instead(event, 'attempt.refused', whose(base, of_id))
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
    local why = limit_fields('wrong_codes', over)
    why.verification = id
    append_audit_instead(event, 'guard.blocked', whose(base, why))
  end
  if uniform == '' then return over end
end

if not over then log_guess(guesses, '?' .. id .. ':' .. used, now, budget, tonumber(now)) end
local counted = { 'attempts', used, 'attempt_at', now, 'rev', held.rev + 1 }
redis.call('HSET', record, unpack(counted))
if used >= allowed and status == 'pending' then
  -- Should the last comparison die half-way, the deadline closes the verification.
  redis.call('ZADD', due, grace_until, id)
end
append_audit_with(event, whose(base, { attempts_remaining = allowed - used }))
-- Of a field that is there twice, the later holds.
for _, word in ipairs(counted) do flat[#flat + 1] = word end
return { 'ok', salt, table.concat(flat, '\0') }
