-- Records that a start was refused by a rule or a limit that is not the recipient's.
-- keys: audit
-- args: event
-- include: audit
-- reply: ok
append_audit(event)
return { 'ok' }
