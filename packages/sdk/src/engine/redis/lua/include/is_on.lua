--- Does a message wake a parked run? Signals only by name, every other kind always (W6). `on` is "" or "<US>name<US>name<US>".
local function is_on(on, kind, name)
  return kind ~= "s" or find(on, "\31" .. name .. "\31", 1, true) ~= nil
end
