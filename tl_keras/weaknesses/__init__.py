"""What a student inherits and its accuracy does not show: how it fares on worse photos, and against who means it ill."""
