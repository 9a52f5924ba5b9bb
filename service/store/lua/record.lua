-- Records a change of what lies in another slot (API keys), right after it.
-- keys: audit
-- args: event
-- include: audit
-- reply: ok
append_audit(event)
return { 'ok' }
