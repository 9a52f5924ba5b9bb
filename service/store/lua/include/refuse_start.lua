-- needs: scopes limit windows id guesses known budget clients now
-- include: window guesses opted_out
-- Why a start is refused by what is known of its recipient: the reason of what is withheld, what `guard.blocked` says
-- of it, and the reply. Nothing where it is not: it counts against the recipient's limit then.
local function refuse_start()
  local of_clients = {}
  for client in string.gmatch(clients, '[^,]+') do of_clients[#of_clients + 1] = client end
  if opted_out(scopes) then return 'recipient_opted_out', { rule = 'opt_out' }, { 'opted_out' } end
  -- No message for a code that this client could not have compared. A notice has none: its budget is empty.
  local over = budget ~= '' and over_budget(guesses, known, of_clients, budget, tonumber(now))
  if over then
    over[1] = 'over_budget'
    return 'rate_limited', limit_fields('wrong_codes', over), over
  end
  local limited = take(limit, windows, id, tonumber(now))
  if limited then return 'rate_limited', limit_fields('recipient', limited), limited end
end
