-- needs: audit
-- What an app may hear of is queued in the very step that made it, where somebody asked for it. `out` has
-- the subjects with callbacks waiting, by the time of the next try; `out:q:<subject>` has their callbacks
-- in order. A subject is a verification, or what an event of no verification is about.
local untold = {
  ['verification.created'] = true, ['delivery.begun'] = true, ['delivery.reconciled'] = true,
}
-- Logins matter more than callbacks: what an outage of the receiver piles up here has an end.
local most_subjects, most_of_a_subject = 10000, 500

-- What is withheld under uniform answers is told to whoever started it, where it named a receiver.
local function withheld_of(here, kind, event)
  local id = kind == 'guard.blocked' and string.match(event, '"verification":"([a-z0-9_]+)"')
  if not id then return false end
  local found = redis.call('HMGET', here .. 'v:' .. id, 'withheld', 'callback')
  return found[1] and found[2]
end

local function queue_callback(event, event_id)
  local kind, group = string.match(event, '"type":"(([a-z_]+)%.[a-z_]+)"')
  -- The same partition and slot as the audit trail's: the keys may be built here.
  local here = string.sub(audit, 1, -6)
  local subject, to
  if (group == 'verification' or group == 'delivery') and not untold[kind] then
    subject = string.match(event, '"verification":"([a-z0-9_]+)"') or ''
    if redis.call('HEXISTS', here .. 'v:' .. subject, 'callback') == 0 then return end
    to = redis.call('HMGET', here .. 'v:' .. subject, 'callback', 'app')
  elseif withheld_of(here, kind, event) then
    subject = string.match(event, '"verification":"([a-z0-9_]+)"')
    to = redis.call('HMGET', here .. 'v:' .. subject, 'callback', 'app')
  elseif group == 'opt_out' or group == 'guard' then
    if redis.call('EXISTS', here .. 'out:rest') == 0 then return end
    subject = string.match(event, '"recipient":"([0-9a-f]+)"') or kind
    to = { '', '' }
  else
    return
  end
  local queue = here .. 'out:q:' .. subject
  if redis.call('ZCARD', here .. 'out') >= most_subjects
      or redis.call('LLEN', queue) >= most_of_a_subject then
    redis.call('INCR', here .. 'out:lost')
    return
  end
  local since = string.match(event, '"at":(%d+)')
  redis.call('RPUSH', queue, cjson.encode({
    id = 'msg_' .. string.match(audit, '{(%d+)}') .. '_' .. event_id,
    subject = subject, url = to[1], app = to[2], since = tonumber(since), event = event,
  }))
  redis.call('ZADD', here .. 'out', 'NX', since, subject)
  redis.call('ZADD', here .. 'out:since', 'NX', since, subject)
end
