-- needs: audit
-- include: pseudonym callbacks
local function append_audit(event)
  local told = under_pseudonym(event)
  queue_callback(told, redis.call('XADD', audit, '*', 'event', told, 'form', form))
end

-- An event that Python could not complete, because only the script knows some of its fields.
local function append_audit_with(event, fields)
  local decoded = cjson.decode(event)
  for name, value in pairs(fields) do decoded[name] = value end
  append_audit(cjson.encode(decoded))
end

-- Whom an event concerns whose maker named the verification alone; `base`: of its record.
local function whose(base, fields)
  local of = { app = base.app, purpose = base.purpose, recipient = base.recipient_id,
    masked = base.masked, country = base.country, test = base.test }
  for name, value in pairs(fields or {}) do of[name] = value end
  return of
end
