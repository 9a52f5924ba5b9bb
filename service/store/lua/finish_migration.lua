-- Records that the data has a layout from now on.
-- keys: migrated audit
-- args: layout now event
-- include: audit
-- reply: ok | again
if redis.call('HSETNX', migrated, layout, now) == 0 then return { 'again' } end
append_audit(event)
return { 'ok' }
