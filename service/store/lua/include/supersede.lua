-- needs: prefix id now
-- include: audit close
-- Cancels what the pending one of a purpose is until now; `event` tells of the new one. Same recipient, so same
-- partition and slot: its keys may be built here.
local function supersede(older, event)
  local record = prefix .. 'v:' .. older
  local status = redis.call('HGET', record, 'status')
  if status == 'pending' or status == 'undeliverable' then
    close(record, prefix .. 'c:' .. older, older, 'canceled', 'superseded', now, false)
    append_audit_instead(event, 'verification.canceled',
      { verification = older, reason = 'superseded', superseded_by = id })
  end
end
