-- needs: audit
-- include: pseudonym callbacks
local function append_audit(event)
  local told = under_pseudonym(event)
  queue_callback(told, redis.call('XADD', audit, '*', 'event', told, 'form', form))
end

-- An event that Python could not complete, because only the script knows some of its fields. It has none of
-- them yet: they are put behind its own, which is a fraction of the work of reading it.
local function append_audit_with(event, fields)
  if next(fields) then event = string.sub(event, 1, -2) .. ',' .. string.sub(cjson.encode(fields), 2) end
  append_audit(event)
end

-- Where a script's step ends otherwise than its event says: the event of that end. It has of the other what
-- says who did what to whom.
local function append_audit_instead(event, kind, fields)
  local other, found = cjson.decode(event), { type = kind }
  for _, name in ipairs({ 'at', 'actor', 'app', 'purpose', 'recipient', 'masked', 'country', 'test' }) do
    found[name] = other[name]
  end
  for name, value in pairs(fields) do found[name] = value end
  append_audit(cjson.encode(found))
end

-- Whom an event concerns whose maker named the verification alone; `base`: of its record.
local function whose(base, fields)
  local of = { purpose = base.purpose, recipient = base.recipient_id, masked = base.masked,
    country = base.country, test = base.test }
  for name, value in pairs(fields) do of[name] = value end
  return of
end
